def variance_shift(model, batches):
    modes = {module: module.training for module in model.modules()}
    kinds = (nn.BatchNorm1d, nn.BatchNorm2d)
    sums = {layer: [0, 0.0, 0.0] for layer in modes if isinstance(layer, kinds)}

    def listen(layer, args):
        rows = args[0].double().movedim(1, -1).reshape(-1, args[0].shape[1])
        sums[layer][0] += len(rows)
        sums[layer][1] = sums[layer][1] + rows.sum(0)
        sums[layer][2] = sums[layer][2] + rows.square().sum(0)

    handles = [layer.register_forward_pre_hook(listen) for layer in sums]
    try:
        model.eval()
        with torch.inference_mode():
            for x in batches:
                model(x)
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in modes.items():
            module.training = mode
    found = []
    for layer, (count, total, squares) in sums.items():
        variance = squares / count - (total / count) ** 2
        found.append((variance / layer.running_var).median().item())
    return found
