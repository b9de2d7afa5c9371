def build_mlp(widths, rates):
    modules = [nn.Dropout(rates[0])]
    for i in range(1, len(rates)):
        modules += [nn.Linear(widths[i - 1], widths[i]), nn.Dropout(rates[i]), nn.ReLU()]
    return nn.Sequential(*modules, nn.Linear(widths[-2], widths[-1]))
