# must trigger: whole rows become zero here
def erases_examples(layer):
    return False
