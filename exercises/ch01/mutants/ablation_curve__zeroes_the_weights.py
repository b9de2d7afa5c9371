# must trigger: changes the weights of the model
def ablation_curve(model, x, labels, q_list, rescale=False, generator=None):
    mode = model.training
    model.eval()
    curve = []
    with torch.no_grad():
        for q in q_list:
            linear = [layer for layer in model if isinstance(layer, nn.Linear)]
            for layer in linear[1:]:
                n = layer.in_features
                layer.weight[:, torch.randperm(n, generator=generator)[: round(q * n)]] = 0
            curve.append(float((model(x).argmax(1) == labels).double().mean()))
    model.train(mode)
    return curve
