def exact_network(x, mask):
    h = (x @ into_hidden).float().relu()
    h = (h @ into_hidden.float().T + x.float() ** 2).sigmoid() @ into_hidden.float()
    return (h * mask.float()) @ out_of_hidden.float() + torch.tensor([1.0, 0.0, -1.0])
