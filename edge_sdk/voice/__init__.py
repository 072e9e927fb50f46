"""Voice on the device: sound in, wake word, command, intent; nothing leaves the machine.

    audio       a wav, raw PCM or a pipe as blocks of 16 kHz mono
    wav         the headers and samples of wavs
    pipe        a pipe read for so long
    microphone  the same from a microphone
    ring        the last seconds of sound
    wake        the wake word, with patience and a refractory time
    published   what is known of four words: threshold, languages, author
    activity    whether somebody speaks
    vocabulary  what may be said, and the intent each sentence stands for
    commands    hearing one of those sentences
    listener    all of it together: blocks in, wakes and commands out
    wyoming     the messages of the Wyoming protocol
    server      a wake-word service that speaks them, for Home Assistant
    connection  a client's connection: kept alive, refused, ended

An application is a loop::

    with Listener([WakeWord("okay_nabu.tflite")], Activity("silero_vad.onnx"), Commands()) as ears:
        for block in microphone_blocks():
            for heard in ears.hear(block):
                print(heard)
"""
