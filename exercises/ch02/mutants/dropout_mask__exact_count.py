# must trigger: units of one example are not independent
def dropout_mask(x, p, generator=None):
    order = torch.rand(x.shape, generator=generator, device=x.device).flatten(1).argsort(1)
    return (order >= round(p * order.shape[1])).reshape(x.shape).to(x)
