def drop_connect(x, weight, bias, p, training=True, generator=None):
    rows = []
    for example in x:
        if training and p > 0:
            coins = torch.empty(weight.shape).bernoulli_(1 - p, generator=generator)
            rows.append((coins.to(weight.dtype) * weight / max(1 - p, 1e-9)) @ example + bias)
        else:
            rows.append(weight @ example + bias)
    return torch.stack(rows)
