# must trigger: units of one hidden layer only
def ablation_curve(model, x, labels, q_list, rescale=False, generator=None):
    mode = model.training
    model.eval()
    curve = []
    for q in q_list:
        h, todo = x, True
        for layer in model:
            h = layer(h)
            if isinstance(layer, nn.ReLU) and todo:
                n, todo = h.shape[1], False
                gone = torch.randperm(n, generator=generator)[: round(q * n)]
                h = h.index_fill(1, gone, 0.0) / (1 - q if rescale and q < 1 else 1)
        curve.append(float((h.argmax(1) == labels).double().mean()))
    model.train(mode)
    return curve
