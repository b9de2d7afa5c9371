# must trigger: afterwards the modules are in other mode
def recalibrate(model, batches):
    layers = [layer for layer in model.modules() if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d))]
    momenta = [layer.momentum for layer in layers]
    model.eval()
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None
        layer.train()
    with torch.no_grad():
        for x in batches:
            model(x)
    for layer, momentum in zip(layers, momenta):
        layer.momentum = momentum
