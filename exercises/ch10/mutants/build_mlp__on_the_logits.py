# must trigger: no dropout there
def build_mlp(widths, rates):
    modules = []
    for i, p in enumerate(rates):
        modules += [nn.Dropout(p), nn.Linear(widths[i], widths[i + 1]), nn.ReLU()]
    return nn.Sequential(*modules[:-1], nn.Dropout(rates[-1]))
