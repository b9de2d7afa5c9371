# must trigger: dropped at evaluation as well
class Network(nn.Module):
    def __init__(self, widths, rates):
        super().__init__()
        self.rates = rates
        self.layers = nn.ModuleList(nn.Linear(widths[i], widths[i + 1]) for i in range(len(rates)))

    def forward(self, x):
        for i, (layer, p) in enumerate(zip(self.layers, self.rates)):
            x = layer(nn.functional.dropout(x, p))
            if i < len(self.rates) - 1:
                x = x.relu()
        return x


def build_mlp(widths, rates):
    return Network(widths, rates)
