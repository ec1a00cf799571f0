"""Programs are found in documents, made whole where they are fragments, and their waits scaled."""

import textwrap

from differential import extract


def sources(document):
    return [program.source for program in extract.programs(textwrap.dedent(document))]


def run(source):
    printed = []
    exec(compile(source, "document", "exec"), {"print": printed.append})
    return printed


def test_fenced_block():
    (source,) = sources(
        """
        Text.

        ```python
        print("found")
        ```

        ```toml
        not = "python"
        ```
        """
    )
    assert run(source) == ["found"]


def test_indented_fence_in_a_list():
    (source,) = sources(
        """
        - A point:

          ```py
          if True:
              print("found")
          ```
        """
    )
    assert run(source) == ["found"]


def test_directive_of_restructured_text():
    (source,) = sources(
        """
        Title
        -----

        .. code:: python

          print("found")

        Text again.
        """
    )
    assert run(source) == ["found"]


def test_code_without_any_mark():
    (source,) = sources(
        """
        We can also write:

        import math

        def area(radius):
            return math.pi * radius ** 2

        print(round(area(1)))

        And that is all.
        """
    )
    assert run(source) == [3]


def test_session_with_prompts():
    (source,) = sources(
        """
        ```
        def double(number):
            return number * 2

        >>> print(double(21))
        42
        >>> for number in range(2):
        ...     print(number)
        0
        1
        ```
        """
    )
    assert run(source) == [42, 0, 1]


def test_what_cannot_be_parsed_is_no_program():
    assert sources("```python\nasync def func()\n    await\n```") == []


def test_definitions_alone_are_no_program():
    assert sources("```python\ndef function():\n    pass\n```") == []


def test_main_that_nobody_runs_is_run():
    (source,) = sources("```python\nasync def main():\n    print('ran')\n```")
    assert run(source) == ["ran"]


def test_await_outside_of_a_function():
    (source,) = sources("```python\nprint(await asyncio.sleep(0, 'slept'))\n```")
    assert run(source) == ["slept"]


def test_fragment_gets_definitions_of_earlier_blocks():
    *_, source = sources(
        """
        ```python
        async def say(what):
            print(what)
        ```

        ```python
        asyncio.run(say("found"))
        ```
        """
    )
    assert run(source) == ["found"]


def test_waits_are_scaled():
    source = textwrap.dedent(
        """
        import asyncio, time
        time.sleep(10)
        asyncio.wait_for(work, 10)
        asyncio.wait(tasks, timeout=10)
        asyncio.wait(tasks, timeout=None)
        time.sleep(delay)
        end = loop.time() + 10
        """
    )
    scaled = extract.scaled(source, 0.5).partition("import asyncio")[2]
    assert scaled.count("5.0") == 4
    assert "timeout=None" in scaled
    assert "time.sleep(_scaled(delay, 0.5))" in scaled
