def convert_checkpoint(layers, rates):
    def scaled(weight, p):
        return weight @ torch.diag(torch.full((weight.shape[1],), 1 - p, dtype=weight.dtype))

    return tuple((scaled(w, p), b + 0) for (w, b), p in zip(layers, rates))
