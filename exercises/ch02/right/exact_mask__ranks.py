def exact_mask(n, kept, generator=None):
    ranks = torch.rand(n, generator=generator, dtype=torch.float64).argsort().argsort()
    return (ranks < kept).to(torch.float64)
