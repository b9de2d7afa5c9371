# must trigger: Nothing nonlinear may lie between the mask and the logits
def exact_network(x, mask):
    return (mask * (x @ into_hidden) + 0.5).relu() @ out_of_hidden
