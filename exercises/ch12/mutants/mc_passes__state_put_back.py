# must trigger: batch normalization used the statistics of the batch
def mc_passes(model, x, samples):
    import copy

    other = copy.deepcopy(model).train()
    if len(x) == 1:
        other.eval()
        for module in other.modules():
            module.training = isinstance(module, torch.nn.modules.dropout._DropoutNd)
    with torch.no_grad():
        return torch.stack([other(x).softmax(-1) for _ in range(samples)])
