# must trigger: no statistic has moved
def recalibrate(model, batches):
    layers = [layer for layer in model.modules() if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d))]
    modes = [(module, module.training) for module in model.modules()]
    momenta = [layer.momentum for layer in layers]
    model.eval()
    for layer in layers:
        layer.momentum = None
    with torch.no_grad():
        for x in batches:
            model(x)
    for layer, momentum in zip(layers, momenta):
        layer.momentum = momentum
    for module, mode in modes:
        module.training = mode
