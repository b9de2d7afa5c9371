# must trigger: training flags of the modules are not what they were
def mc_passes(model, x, samples):
    was = model.training
    model.eval()
    for module in model.modules():
        if isinstance(module, torch.nn.modules.dropout._DropoutNd):
            module.train()
    with torch.no_grad():
        out = torch.stack([model(x).softmax(-1) for _ in range(samples)])
    model.train(was)
    return out
