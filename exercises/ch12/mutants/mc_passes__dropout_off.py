# must trigger: all passes are the same
def mc_passes(model, x, samples):
    import copy

    other = copy.deepcopy(model).eval()
    with torch.no_grad():
        return torch.stack([other(x).softmax(-1) for _ in range(samples)])
