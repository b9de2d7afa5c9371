# must trigger: changes no prediction
def exact_network(x, mask):
    return (x @ into_hidden).tanh() @ out_of_hidden
