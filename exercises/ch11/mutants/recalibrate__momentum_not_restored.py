# must trigger: the momentum of a BatchNorm is not what it was
def recalibrate(model, batches):
    layers = [layer for layer in model.modules() if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d))]
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None
        layer.train()
    with torch.no_grad():
        for x in batches:
            model(x)
    for module, mode in modes:
        module.training = mode
