def told(seen, unseen, kept, cell):
    mean = seen.mean(0)
    a, b = seen - mean, unseen - mean
    inner = kept.nonzero().squeeze(1)
    moments = a.T @ a
    weights = torch.linalg.solve(moments[inner][:, inner], moments[inner, cell])
    error = b[:, cell] - b[:, inner] @ weights
    return 1 - (error @ error) / (unseen[:, cell] - unseen[:, cell].mean()).square().sum()
