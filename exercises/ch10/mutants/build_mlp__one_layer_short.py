# must trigger: the nn.Linear layers should be
def build_mlp(widths, rates):
    modules = []
    for i, p in enumerate(rates[:-1]):
        modules += ([nn.ReLU()] if i else []) + [nn.Dropout(p), nn.Linear(widths[i], widths[i + 1])]
    return nn.Sequential(*modules)
