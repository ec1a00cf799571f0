from asyncio.subprocess import *
from asyncio.subprocess import DEVNULL as DEVNULL
from asyncio.subprocess import PIPE as PIPE
from asyncio.subprocess import STDOUT as STDOUT
from asyncio.subprocess import Process as Process
from asyncio.subprocess import SubprocessStreamProtocol as SubprocessStreamProtocol
