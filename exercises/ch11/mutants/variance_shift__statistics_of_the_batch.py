# must trigger: the statistics of the model have moved
def variance_shift(model, batches):
    layers = [layer for layer in model.modules() if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d))]
    modes = [(module, module.training) for module in model.modules()]
    seen = {layer: [] for layer in layers}
    handles = [layer.register_forward_pre_hook(lambda layer, args: seen[layer].append(args[0])) for layer in layers]
    model.eval()
    for layer in layers:
        layer.train()
    with torch.no_grad():
        for x in batches:
            model(x)
    for handle in handles:
        handle.remove()
    for module, mode in modes:
        module.training = mode
    rows = [torch.cat([x.movedim(1, 0).flatten(1) for x in seen[layer]], 1) for layer in layers]
    return [float((row.var(1) / layer.running_var).median()) for row, layer in zip(rows, layers)]
