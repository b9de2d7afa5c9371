# must trigger: logits may be negative
def build_mlp(widths, rates):
    modules = []
    for i, p in enumerate(rates):
        modules += [nn.Dropout(p), nn.Linear(widths[i], widths[i + 1]), nn.ReLU()]
    return nn.Sequential(*modules)
