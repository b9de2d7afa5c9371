# must trigger: there must be a ReLU
def build_mlp(widths, rates):
    modules = []
    for i, p in enumerate(rates):
        modules += [nn.Dropout(p), nn.Linear(widths[i], widths[i + 1])]
    return nn.Sequential(*modules)
