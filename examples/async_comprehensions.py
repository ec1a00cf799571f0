"""Asynchronous comprehensions: lists, sets, dictionaries and generators."""

import asyncio


async def letters(text):
    for letter in text:
        await asyncio.sleep(0)
        yield letter


async def is_vowel(letter):
    await asyncio.sleep(0)
    return letter in "aeiou"


async def main():
    word = "asynchronous"
    print("list:     ", [letter async for letter in letters("loop")])
    print("set:      ", sorted({letter async for letter in letters(word)}))
    print("dict:     ", {letter: ord(letter) async for letter in letters("io")})
    print("filtered: ", [letter async for letter in letters(word) if await is_vowel(letter)])
    print("awaited:  ", [await is_vowel(letter) for letter in "hey"])

    vowels = (letter async for letter in letters(word) if await is_vowel(letter))
    print("generator:", await anext(vowels), [letter async for letter in vowels])
    print("nested:   ", [[low + up async for up in letters("XY")] async for low in letters("ab")])


asyncio.run(main())
