def paired_gain(with_dropout, without):
    d = (with_dropout - without).double()
    n = d.numel()
    mean = d.sum() / n
    return torch.stack([mean, (((d - mean) ** 2).sum() / (n * (n - 1))).sqrt()])
