# must trigger: draw the weights once
def exact_network(x, mask):
    return (mask * (x @ into_hidden).tanh()) @ torch.randn(6, 3, dtype=torch.float64)
