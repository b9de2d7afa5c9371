# must trigger: at the input
def build_mlp(widths, rates):
    modules = [nn.Linear(widths[0], widths[1])]
    for i in range(1, len(rates)):
        modules += [nn.ReLU(), nn.Dropout(rates[i]), nn.Linear(widths[i], widths[i + 1])]
    return nn.Sequential(*modules)
