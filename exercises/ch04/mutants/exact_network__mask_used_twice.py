# must trigger: Nothing nonlinear may lie between the mask and the logits
def exact_network(x, mask):
    hidden = mask * (x @ into_hidden).relu()
    return (mask * (hidden @ into_hidden.T @ into_hidden)) @ out_of_hidden
