# must trigger: Do not fix how many survive
def skipping_block(x, f, p, training=True, generator=None):
    if not training or p == 0:
        return x + f(x)
    numbers = torch.randperm(len(x), generator=generator)[: round(len(x) * (1 - p))]
    return x.index_add(0, numbers, f(x[numbers]) / (1 - p)) if len(numbers) else x
