# must trigger: must be divided by 1 − p
class Drop(nn.Module):
    def __init__(self, p):
        super().__init__()
        self.p = p

    def forward(self, x):
        return x * (torch.rand_like(x) >= self.p) if self.training else x


def build_mlp(widths, rates):
    modules = []
    for i, p in enumerate(rates):
        modules += ([nn.ReLU()] if i else []) + [Drop(p), nn.Linear(widths[i], widths[i + 1])]
    return nn.Sequential(*modules)
