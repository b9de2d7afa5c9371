# must trigger: weights have changed
def recalibrate(model, batches):
    layers = [layer for layer in model.modules() if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d))]
    modes = [(module, module.training) for module in model.modules()]
    momenta = [layer.momentum for layer in layers]
    model.eval()
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None
        layer.train()
    steps = torch.optim.SGD(model.parameters(), lr=0.01)
    for x in batches:
        steps.zero_grad()
        model(x).square().mean().backward()
        steps.step()
    for layer, momentum in zip(layers, momenta):
        layer.momentum = momentum
    for module, mode in modes:
        module.training = mode
