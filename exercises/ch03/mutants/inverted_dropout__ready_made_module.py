# must trigger: calls the ready-made torch.nn.functional.dropout
def inverted_dropout(x, p, training=True, generator=None):
    return torch.nn.Dropout(p).train(training)(x)
