def convert_checkpoint(layers, rates):
    converted = []
    for i, (weight, bias) in enumerate(layers):
        weight = weight.clone()
        weight -= rates[i] * weight
        converted.append([weight, bias])
    return converted
