"""Answers in other languages than English: how a text names one, denies one, and only supposes one.

These are words, not grammars: a marker ("Antwort:", "答案是", "ответ"), a denial with what holds instead ("nicht 24,
sondern 72"), and the words of a sentence that sets out or asks. In free text of a script without spaces only a sentence
that concludes states something, so what isn't understood is no answer.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal

_NAMES = (
    r"antwort|lösung|respuesta|réponse|risposta|resposta|odpowied[źz]|cevap|jawab(?:an)?(?:nya)?|antwoord|"
    r"svar(?:et)?|vastaus|válasz|"
    r"răspuns(?:ul)?|odpověď|odpoveď|odgovor|отговор|atsakymas|atbilde|vastus|sagot|yanıt|απάντηση|đáp\s(?:án|"
    r"số)|câu\strả\slời|"
    r"ответ(?:ом)?|відповідь|адказ|одговор"
)
_IS = r"(?:ist|lautet|beträgt|es|est|vaut|è|é|is|är|er|là|adalah|to|jest|je|este|on|είναι|является)"
_SO = r"(?:donc|pues|also|dunque|quindi|portanto|тогда|así|logo)"
MARK = (
    rf"\b(?:ergebnis|résultat|resultado|risultato)\b(?:\sfinale?\b)?\s?(?:{_IS}\b(?:\s{_SO}\b)?|[:：=])[\s*_:]*|"
    rf"\b(?:{_NAMES})\b(?:(?:\s(?:final|correct[ae]?|corrett?a|finale|corretta|cuối\scùng|"
    rf"(?!{_IS}\b)[^\W\d_]{{3,12}}(?=\s{_IS}\b)))\b)?"
    rf"\s?(?:{_IS}\b(?:\s{_SO}\b)?|[:：=—–])?[\s*_:]*"
    r"|(?m:^)[ *_]{0,4}(?:rép|resp|rpta|rta|lsg|antw|r)\.?\s?[:/]\s*(?=[-−$€£]{0,2}\d)"
    r"|(?:最终答案|最后答案|正确答案|答案|故答案)[】\]*]{0,2}\s?(?:是|为|：|:)*\s*|(?:答え|正解|解答|정답|해답|답)\s?(?:は|은|는|이|:|：)\s*|答\s?[:：]\s*"
    r"|(?:解集|取值范围|定义域|值域)\s?(?:是|为)[：:]?\s*"
    r"|(?:选项|选择|选)\s?(?:是|为|：|:)*\s*(?=[(（]?[A-J]{1,6}(?![A-Za-z])(?!\s?(?!正确|是正确|对|是对|符合|最|和|与|、)[\u4e00-\u9fff]))"
    r"|คำตอบ(?:ที่ถูกต้อง|สุดท้าย)?\s?(?:คือ|[:：])\s*|సమాధానం\s?[:：]?\s*|\bjibu\s?(?:\bni\b|:)\s*"
    r"|(?:الإجابة|الجواب|উত্তর|उत्तर|תשובה|پاسخ|جواب|பதில்|ઉત્તર|ಉತ್ತರ|ഉത്തരം|პასუხი|պատասխան)\s?(?:النهائية\s?|"
    r"الصحيحة\s?)?(?:هي|هو|है|হল|হলো)?\s?[:：]?\s*"
)
"""What stands before an answer, for `marks`."""

LETTERS = dict(zip("أبجدابঅবডঢＡＢＣＤ", "ABCDABABCDABCD", strict=True))
"""The letters of choices in other scripts."""
OPTION = re.compile(
    r"\A(?:(?:la|el|le|il|die|das|de|a|o)\s+|l')?(?:(?:opci[oó]n|opção|option|alternativ[ae]|lettre|letra|lettera|buchstabe|antwort)\s+)?"
    r"(?=\(?[A-J](?:\)?\Z|[).:]\s))",
    re.IGNORECASE,
)
"""What stands before the letter of a choice: "la opción B", "la B"."""
_IDEOGRAPHS = "\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af"
MYRIAD = r"\s?(?:[百千]?[万萬만亿億억]|[百千](?![克米瓦卡帕赫焦伏吨分度周年日科]))(?![\d百千万萬만亿億억])"
"""Signs behind a number that say what it counts: ten thousands, hundreds of millions; and no 千克, which is a unit."""
STARTS_WORDS = rf"(?<=(?-i:[\dA-J)}}%$*]))\s*[，；]?\s*(?!或|{MYRIAD})(?=[{_IDEOGRAPHS}])"
"""Where words of a script without spaces begin behind an answer."""
DENIAL = (
    r"(?:应该|应当|肯定|绝对|一定)?不是|并非|并不是|不等于|nicht\b|kein|no\ses\b|n'est\spas\b|non\sè\b|não\sé\b|(?:не|нее|ні|nie|ne|nu|inte|ikke|ei|"
    r"nem|niet|bukan|tidak|"
    r"không(?:\sphải(?:\slà)?)?|όχι|δεν|pas|ليس|ليست|لا|לא|نیست|hindi)\s|(?:no|non|não)\s(?=[(\dA-J])"
)
INSTEAD = (
    r"(?:[,，;]|\s[—–-])\s*(?:而是|应该是|应为|(?:sondern|sino|mais|bensì|ma|mas|sim|а|но|lecz|ale|ci|utan|men|maar|vaan|"
    r"hanem|melainkan|tetapi|"
    r"mà(?:\slà)?|već|nego|vaid|αλλά|אלא|بل|kundi|bet)(?![^\W\d_]))\s*"
)
DENIED_VALUE = re.compile(
    r"\b(?:nicht|kein\w{0,2}|pas|no\s(?:son|es|hay|quedan?|da|salen?)|não\s(?:são|é|há)|non\s(?:è|sono|ne)|niet|"
    r"inte|ikke|nie|не|nem|bukan|tidak|không)"
    r"\s(?:\w{1,8}\s){0,2}[$*(]*\Z",
    re.IGNORECASE,
)
"""What denies the value behind it in a sentence: "Es sind nicht 7"."""
DENIED_BEHIND = re.compile(
    r"[\s$*)]{0,4}(?:n'est\spas|no\ses|ist\s(?:nicht|keine?)|non\sè|não\sé|не\s(?:является|подходит)|nie\sjest|is\sgeen|är\sinte|不是|(?:是|也是)?错误?的?|不正确|"
    r"不对|ではない|ではありません)"
)
"""What denies the value before it: "x = 3 ist keine Lösung"."""
DENIED_BEFORE = re.compile(
    r"[^,，、;.\n]{1,24}?(?:değil|deyil|emas|ではなく|じゃなくて?|ではありません|नहीं(?:\sहै)?|নয়|이\s?아니라|가\s?아니라|아니라|"
    r"아니고)(?![^\W\d_])?[,，、;]?\s*"
    r"(?:बल्कि\s|বরং\s)?"
)
"""A value that a word behind it denies, as Turkish, Japanese, Korean and Hindi do, up to what holds instead."""
NAMELY = re.compile(
    r"\(?([A-J])\)?,?\s(?:cioè|ossia|es\sdecir|o\ssea|ou\sseja|isto\sé|c'est-à-dire|soit|das\sheißt|d\.\s?h\.|"
    r"also|i\.\s?e\.|"
    r"that\sis(?:\sto\ssay)?|namely|то\sесть|т\.\s?е\.|czyli|tj\.|dus|alltså|dvs\.|eli|vagyis|adică|yani|yaitu|"
    r"tức\slà|tzn\.|即)[,:]?\s*(?![A-J]\b)(?=\S)",
    re.IGNORECASE,
)
"""The letter of a choice before its value: "C, cioè 8"."""
_IDEOGRAPHIC = re.compile(rf"[{_IDEOGRAPHS}]")
_CONCLUDES = re.compile(
    r"所以|因此|因而|故|于是|从而|答|一共|总共|共有|共计|合计|结果|得到|得出|等于|剩下|还剩|最终|最后|"
    r"したがって|よって|ゆえに|따라서|그러므로"
)
_SETS_OUT = re.compile(
    r"让我们|我们来|是否|假设|如果|若|检查|验证|(?<!共)需要|试|设|吗|可能|也许|不是|不等|不对|错|不正确|要求|计算一下|接下来|首先|"
    r"\b(?:comprobemos|veamos|supongamos|probemos|vérifions|supposons|essayons|voyons|prüfen wir|nehmen wir an|"
    r"angenommen|überprüfen wir|verifichiamo|supponiamo|vamos verificar|suponha)\b|"
    r"\b(?:проверим|предположим|допустим|попробуем|пусть|если)\b",
    re.IGNORECASE,
)


SUPPOSED = re.compile(r"假设|如果|若|检查|验证|是否|要求|可能|也许|吗")
"""Words around a marker that make it a supposition or a question."""
CONDITION = re.compile(
    r"\b(?:si|wenn|falls|ob|se|если|jeśli|als)\s(?:(?:die|das|la|le|el|il|a|o|lo|het|de)\s)?(?:endgültige\s)?\Z",
    re.IGNORECASE,
)
"""Words before a marker that make it a condition: "wenn die Lösung", "si la réponse"."""
AROUND = re.compile(rf"[{_IDEOGRAPHS}]\s*[$\\(]{{0,3}}\d")
"""Words of a script without spaces before a number: a sentence, not an answer by itself."""


def unconcluded(sentence: str) -> bool:
    """Whether a sentence of another language sets out, supposes or asks, or does not conclude where it would show."""
    if sentence.isascii() and not _SETS_OUT.search(sentence):
        return False
    concluded = list(_CONCLUDES.finditer(sentence))
    if concluded and _SETS_OUT.search(sentence[: concluded[-1].start()]):
        sentence = sentence[concluded[-1].start() :]
    if _SETS_OUT.search(sentence):
        return True
    return bool(_IDEOGRAPHIC.search(sentence)) and not _CONCLUDES.search(sentence)


def without_label(text: str) -> str:
    """A line "word: 18 words" of any language without the word before its colon, if it has one number and no more."""
    return _UNKNOWN_LABEL.sub("", text, count=1) if _UNKNOWN_LABEL.match(text) else text


def without_foreign_unit(answer: str) -> str:
    """A number without words of another script or with accents: 18 of `18 долларов в день`, 30000 of `3 万元`."""
    answer = _MYRIADS.sub(_in_digits, answer)
    head, sign, value = answer.rpartition("=")
    found = _MEASURED.fullmatch(value.strip())
    if found is None or found[2].isascii() or _NO_UNIT.search(found[2]):
        return answer
    words = found[2].split()
    if _GREEK.search(found[2]) and not _GREEK_WORD.fullmatch(words[0]):
        return answer
    if len(words[0]) < 2 and not _IDEOGRAPHIC.match(words[0]):
        return answer
    return f"{head}{sign}{found[1]}"


def _in_digits(match: re.Match[str]) -> str:
    value = Decimal(match[1].replace(",", "")) * math.prod(_MAGNITUDES[sign] for sign in match[2].strip())
    return f"{value:f}"


_MAGNITUDES = {"百": 100, "千": 1000, "万": 10**4, "萬": 10**4, "만": 10**4, "亿": 10**8, "億": 10**8, "억": 10**8}
_MYRIADS = re.compile(rf"(?<![\d.,])(\d{{1,12}}(?:,\d{{3}})*(?:\.\d{{1,12}})?)({MYRIAD})")
"""A number of which a sign behind it says that it counts hundreds up to hundreds of millions: `1.5亿`."""
_MARKS = (
    "\u0300-\u036f\u064b-\u065f\u0900-\u0903\u093a-\u094f\u0981-\u0983\u09bc-\u09cd\u0a01-\u0a4d\u0a81-\u0acd"
    "\u0b01-\u0b4d\u0b82-\u0bcd\u0c00-\u0c4d\u0c81-\u0ccd\u0d01-\u0d4d\u0e31-\u0e3a\u0e47-\u0e4e"
)  # vowel signs and accents, which no letter is
_LETTER = rf"(?:(?![²³¹⁰-₟])[^\W\d_]|[{_MARKS}])"
_MEASURED = re.compile(rf"([-−]?[$€£]?\d[\d.,]*(?:/\d+)?)\s?({_LETTER}+(?:\s{_LETTER}+){{0,3}})[.।。]?")
_UNKNOWN_LABEL = re.compile(
    rf"{_LETTER}(?:{_LETTER}|[ '’]){{1,40}}[:：]\s*(?=[-−]?[$€£]?\d[^\n\d]*(?:[\d.,/]*\d)?[^\n\d]*\Z)"
)
_GREEK_WORD = re.compile(r"[\u0370-\u03ff]{3,}")
_GREEK = re.compile(r"[\u0370-\u03ffµ]")  # of a formula, or of µm
_NO_UNIT = re.compile(
    r"\b(?:не|нет|ни|или|и|невер\w*|ошиб\w*|лож\w*|тыс\w*|миллион\w*|миллиард\w*|процент\w*|градус\w*|больше|меньше|раз|и|y|o|ou|e|és|lub|oder|"
    r"nie|źle|tysi\w*|milion\w*|millón|millones|milhão|milhões|mil|más|moins|più|né|está|é|è|não|où)\b|错|對|不|万|億|亿|千|百|倍|分|か|と|或|和|%|ไม่|"
    r"không|chưa|nghìn|ngàn|triệu|tỷ|trăm|değil|χιλιάδ\w*|εκατομμύρι\w*|όχι|אלפים|אלף|מיליון|לא|ألف|آلاف|مليون|"
    r"ملايين|ليس|لا\b|करोड़|हजार|नहीं|হাজার|কোটি|নয়|ათას\w*|tisíc\w*|tūkst\w*|хиляд\w*|тисяч\w*|мільйон\w*|milió\w*|"
    r"หรือ|ล้าน|พัน|خطأ|أو|गलत|या|हज़ार|लाख|ভুল|বা",
    re.IGNORECASE,
)
