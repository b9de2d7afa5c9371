def mask_shape(shape, kind):
    x = torch.empty(shape)
    if kind == "example":
        x = x.flatten(1)[:, 0].reshape(-1, *[1] * (len(shape) - 1))
    elif kind == "batch":
        x = x[:1]
    elif kind == "channel":
        while x.shape[2:].numel() > 1:
            for axis in range(2, x.ndim):
                x = x.narrow(axis, 0, 1)
    return x.shape
