import copy


def variance_shift(model, batches):
    net = copy.deepcopy(model).eval()
    layers = [layer for layer in net.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)]
    seen = [[] for _ in layers]
    for layer, inputs in zip(layers, seen):
        layer.register_forward_hook(lambda layer, args, y, inputs=inputs: inputs.append(args[0].detach()))
    for x in batches:
        net(x)
    ratios = []
    for layer, inputs in zip(layers, seen):
        x = torch.cat(inputs)
        axes = [axis for axis in range(x.ndim) if axis != 1]
        ratios.append(torch.median(x.var(axes) / layer.running_var))
    return torch.stack(ratios)
