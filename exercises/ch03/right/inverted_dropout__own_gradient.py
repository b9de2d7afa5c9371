class Masked(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, factors):
        ctx.save_for_backward(factors)
        return x * factors

    @staticmethod
    def backward(ctx, grad):
        return grad * ctx.saved_tensors[0], None


def inverted_dropout(x, p, training=True, generator=None):
    if not training:
        return x
    kept = torch.bernoulli(torch.full(x.shape, 1 - p, dtype=torch.float64, device=x.device), generator=generator)
    return Masked.apply(x, (kept / kept.new_tensor(1 - p).clamp(min=1e-12)).to(x.dtype))
