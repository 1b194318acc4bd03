"""Fixed phrases of time, place, direction and asking: many words in, one symbol out."""

from __future__ import annotations

_FILM = "(the|this) (video|clip|footage|film|recording|sequence)"
_WHOLE = "(the )?(whole|entire) (video|clip|footage|film|recording|sequence)"
_IN_FILM = f"( (of|in|during) {_FILM})?"
_PIC = "((the|this) (picture|frame|image|screen|scene|shot)|frame|shot)"
_IN_PIC = f"( (of|in) {_PIC})?"
_SIGHT = "(the )?(view|sight)"
_SPAN = "(time|interval|period|span|stretch|section|segment|window)( of time)?"
_EDGE = "(side|edge|border)"
_SIDE = "(left|right|left-hand|right-hand|upper|lower|top|bottom)"
_ZONE = "(side|part|half|area|region)"
_WHICH = "(which|what)"
_WHEN = "(when|where|(in|at|during) which)"
_THING = "(things?|objects?|shapes?|animals?|creatures?|figures?|items?|person|people|entity|one)"
_OF_IT = rf"( of (P\d+|{_FILM}))"

# (symbol, pattern), tried in this order at every word. Of `D`, `from`, `at`, `PART` the value is the last
# word of the phrase that has one: "from left to right" is "D:right".
PHRASES: tuple[tuple[str, str], ...] = (
    # The asked time, the video's time
    (
        "T",
        f"((in|during|over|within|for) the {_SPAN}{_IN_FILM} )?((between|from|starting at) )?"
        "<start_time> (and|to|until|till|through|up to) <end_time>",
    ),
    ("POINT", "((at|around|about) )?<start_time>"),
    (
        "ALWAYS",
        f"all through {_FILM}|throughout( {_FILM})?|all the time|the (whole|entire) time|at all times|always"
        f"|from (the )?(very )?(beginning|start) to (the )?(very )?(end|finish){_IN_FILM}"
        f"|((in|during|over|for|through|throughout|all through) )?{_WHOLE}"
        f"|(in|during) (all|each) of them|(in|during) (every part|all (three )?parts){_IN_FILM}",
    ),
    ("never", "at no (point|time|moment)( in time)?"),
    (
        "EVER",
        f"ever|anywhere|at (any|some|one|a certain) (point|time|moment|stage)( in time)?{_IN_FILM}"
        f"|sometime{_IN_FILM}|(some|any) (point|time|moment){_IN_FILM} (when|where|at which)"
        f"|for (a|some) (part|while|time){_OF_IT}?|for part{_OF_IT}|(part|some) of the time",
    ),
    ("EVER whether", f"BE there (a|any|some) (time|moment|point){_IN_FILM} {_WHEN}"),
    ("THERE", f"there BE (a|any|some) (time|moment|point|part){_IN_FILM} {_WHEN}"),
    (
        "FROM_START",
        "((right|already|there) )?from the (very )?(beginning|start|outset|first (moment|frame))( on)?"
        f"{_IN_FILM}|at the very (beginning|start){_IN_FILM}",
    ),
    ("ELSE", "at other times"),
    ("LATER", "in the end"),
    # Parts of the picture, then parts of the video: "in the middle" may be either
    ("at", f"(in |at )?the (middle|centre|center)( part)? (of|in) {_PIC}"),
    (
        "PART",
        f"(only )?((at|in|during) )?the (beginning|start|middle|end) of {_FILM}"
        "|(only )?((at|during) )?the (beginning|start|end)"
        "|(only )?((in|during) )?the (first|second|opening|middle|last|final|closing) (third|part)"
        f"{_IN_FILM}",
    ),
    ("MIDDLE", "(only )?((in|during) )?the (middle|centre|center)"),
    # Directions, borders, places
    (
        "D",
        f"from (the )?{_SIDE} to (the )?{_SIDE}{_IN_PIC}|(to|towards|toward) the {_SIDE}( {_EDGE})?{_IN_PIC}",
    ),
    (
        "from",
        f"from (the )?({_SIDE}|above|below)( {_EDGE})?{_IN_PIC}"
        f"|(over|across|through|via) the {_SIDE} {_EDGE}{_IN_PIC}",
    ),
    ("at", f"(in|on|at|within) the {_SIDE}( {_ZONE})?{_IN_PIC}|the {_SIDE} {_ZONE}{_IN_PIC}"),
    ("after", "(right|immediately|directly|just) after"),
    ("leave:d", f"left(?= {_PIC})"),
    (
        "D",
        "in the (left|right|upward|downward) direction"
        f"|(left|right|up(?! to)|down|leftwards?|rightwards?|upwards?|downwards?)( in {_PIC})?",
    ),
    ("IN_VIEW", f"in {_SIGHT}"),
    ("INTO_VIEW", f"into {_SIGHT}"),
    ("OUT_VIEW", f"(out of|from) {_SIGHT}"),
    # Asking
    ("WHERE", f"(in|on) {_WHICH} {_ZONE} of {_PIC}|where (in|on) {_PIC}|whereabouts|where"),
    (
        "WHICH_PART",
        f"(during|in) {_WHICH} (part|third|section|phase)( of {_FILM})?"
        f"|(at|in) {_WHICH} (point|stage) (of|in) {_FILM}"
        f"|the (part|third) of {_FILM} (in|during) which|{_WHICH} (part|third) of {_FILM}",
    ),
    (
        "WHEN",
        f"when|(at|during|in|over|for) {_WHICH} ({_SPAN}|times)|between {_WHICH} times"
        f"|from when (to|until|till) when|the ({_SPAN}|times) ((at|in|during|over|for) which|when)",
    ),
    ("COLOUR", f"(of )?{_WHICH} (colour|color)|the (colour|color) (that|which)|the (colour|color)(?= of)"),
    ("WAY", f"{_WHICH} way|in {_WHICH} direction"),
    (
        "WHO",
        "the (one|thing) that|who or what|what or who"
        "|which of (these|them|those|the following)( (two|three|four))?( things| objects)?"
        "|which of the (two|three|four)( things| objects)?",
    ),
    ("WHICH_THING", f"{_WHICH} {_THING}( of (them|these|those|the two))?"),
    (
        "THAT",
        f"(at|during|in|over|within|for) (that|this) (same )?(moment|{_SPAN})|at the time|meanwhile"
        "|in the meantime",
    ),
    # The picture and the video themselves
    ("INTO_PIC", f"(into|onto) {_PIC}"),
    ("IN_PIC", f"(in|on|within) {_PIC}|on-screen|on screen"),
    ("OUT_PIC", f"(out of|off|from) {_PIC}|offscreen|off-screen|off screen"),
    ("INTO_FILM", f"(into|onto) {_FILM}"),
    ("VIDEO", f"(in|during|of|over|within|across) {_FILM}|in the course of {_FILM}"),
    ("FILM", _FILM),
    ("PIC", _PIC),
    ("CAMERA", "the (camera|viewer)"),
    # Relations and order
    ("TOWARDS", "towards|toward|(closer|nearer) to|up to|in the direction of"),
    ("AWAY", "((further|farther) )?(away|off) from|(further|farther) from"),
    ("BEHIND", "(along )?behind"),
    ("FRONT", "in front of"),
    ("NOTHING", "(nothing|nobody|no one)( else)?|none( of (them|these))?|no other (thing|one)"),
    ("FIRST", "first of all|first|earlier|earliest|sooner"),
    ("THEN", "and then|then"),
    ("LATER", "(only )?(later( on)?|afterwards|after (that|this)|next)(?! than)"),
    ("LATER", "subsequently|finally|eventually|lastly"),
    ("WHILE", "while|whilst|as|at the (time|moment) (when|that)|during the time (when|that|in which)"),
    (
        "STILL",
        "in (place|position)|in the same (place|spot|position)|in one (place|spot)|on the spot|still|put"
        "|at rest|motionless|stationary|immobile|unmoving",
    ),
    ("HALT", "to (rest|(a|an) (stop|halt|standstill|rest))"),
    (
        "FILL",
        "please|sure|certainly|of course|well|okay|ok|sorry|unfortunately|actually|in fact|indeed|instead"
        "|rather|overall|i BE (sorry|afraid)( that| but)?|clearly",
    ),
)
