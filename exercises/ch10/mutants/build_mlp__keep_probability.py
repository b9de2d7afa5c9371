# must trigger: That is 1 − p
def build_mlp(widths, rates):
    modules = []
    for i, p in enumerate(rates):
        modules += ([nn.ReLU()] if i else []) + [nn.Dropout(1 - p), nn.Linear(widths[i], widths[i + 1])]
    return nn.Sequential(*modules)
