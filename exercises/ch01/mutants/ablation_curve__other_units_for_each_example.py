# must trigger: equal examples got different answers
def ablation_curve(model, x, labels, q_list, rescale=False, generator=None):
    mode = model.training
    model.eval()
    curve = []
    for q in q_list:
        h = x
        for layer in model:
            h = layer(h)
            if isinstance(layer, nn.ReLU):
                ranks = torch.rand(h.shape, generator=generator).argsort(1).argsort(1)
                h = h * (ranks >= round(q * h.shape[1])) / (1 - q if rescale and q < 1 else 1)
        curve.append(float((h.argmax(1) == labels).double().mean()))
    model.train(mode)
    return curve
