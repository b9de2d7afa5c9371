def recalibrate(model, batches):
    """One pass a layer: each gets its statistics before the next one is measured."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    inputs = []
    for layer in modes:
        if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)):
            inputs.clear()
            handle = layer.register_forward_pre_hook(lambda layer, args: inputs.append(args[0]))
            with torch.no_grad():
                for x in batches:
                    model(x)
            handle.remove()
            rows = torch.cat([x.movedim(1, 0).flatten(1) for x in inputs], 1)
            layer.running_mean.copy_(rows.mean(1))
            layer.running_var.copy_(rows.var(1))
    for module, mode in modes.items():
        module.training = mode
