"""Language from served models: everything that they say is checked before it is kept.

entities      Entity Recognizer and Referring Parser; `naming` checks what they call things
transcript    Video Transcriber; `showing` draws the track for it, `telling` checks its sentences,
              `agreeing` chooses among several
instructions  QA Generator; `rewording` puts pairs into other words, which `samewords` checks; `generating`
              makes pairs of what the transcriber told, which `sticking` checks; `batches` asks
"""
