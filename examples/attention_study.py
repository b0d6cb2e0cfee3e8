"""Is attention worth more in the first stage or in the second? Search it, ask for the verdict."""

import stac


def study() -> stac.Study:
    """Four networks on the embedded digits; `stac search` takes this file, too."""
    return stac.Study(
        name="first-or-second",
        space=stac.Space(
            base=stac.resnet(8, width=8, input_size=8, classes=10),
            scales=(("off", 2), ("off", 2), ("off",)),  # per stage
            reductions=(4,),
        ),
        protocol=stac.Protocol(data=stac.Digits(), epochs=2, batch_size=64),
    )


if __name__ == "__main__":
    result = stac.search(study(), out="out/first-or-second")
    for network in result.frontier():
        print(network)
    stac.predict(result, images=100)
    print(stac.answer(stac.compare(result)))
