class Network(nn.Module):
    def __init__(self, widths, rates):
        super().__init__()
        self.rates = list(rates)
        self.layers = nn.ModuleList([nn.Linear(widths[i], widths[i + 1]) for i in range(len(rates))])

    def forward(self, x):
        for i, layer in enumerate(self.layers):
            if i:
                x = torch.relu(x)
            if self.training and self.rates[i] > 0:
                keep = 1 - self.rates[i]
                x = torch.where(torch.rand_like(x) < keep, x / keep, torch.zeros_like(x))
            x = layer(x)
        return x


def build_mlp(widths, rates):
    return Network(widths, rates)
