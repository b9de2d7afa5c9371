# must trigger: should be dropped in training
def build_mlp(widths, rates):
    rates = rates[1:] + rates[:1]
    modules = []
    for i, p in enumerate(rates):
        modules += ([nn.ReLU()] if i else []) + [nn.Dropout(p), nn.Linear(widths[i], widths[i + 1])]
    return nn.Sequential(*modules)
