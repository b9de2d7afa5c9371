# must trigger: calls the ready-made torch.nn.functional.dropout
def drop_connect(x, weight, bias, p, training=True, generator=None):
    weights = torch.nn.functional.dropout(weight.expand(len(x), *weight.shape), p, training)
    return torch.einsum("noi,ni->no", weights, x) + bias
