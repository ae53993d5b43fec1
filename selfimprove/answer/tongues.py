"""Answers in other languages than English: how a text names one, denies one, and only supposes one.

These are words, not grammars: a marker ("Antwort:", "答案是", "ответ"), a denial with what holds instead ("nicht 24,
sondern 72"), and the words of a sentence that sets out or asks. In free text of a script without spaces only a sentence
that concludes states something, so what isn't understood is no answer.
"""

from __future__ import annotations

import re

MARK = (
    r"\b(?:ergebnis|résultat|resultado|risultato)\b(?:\sfinale?\b)?\s?(?:(?:ist|lautet|beträgt|es|est|è|é)\b"
    r"(?:\s(?:donc|pues|also|dunque|quindi|portanto)\b)?|[:：=])[\s*_:]*|"
    r"\b(?:antwort|lösung|respuesta|réponse|risposta|resposta|odpowied[źz]|cevap|jawaban(?:nya)?|antwoord|svaret|"
    r"đáp\sán|câu\strả\slời|ответ(?:ом)?|відповідь)\b(?:\s(?:final|correcta|correcte|corretta|finale|correta|cuối\scùng)\b)?"
    r"\s?(?:(?:ist|lautet|beträgt|es|est|vaut|è|é|is|är|là|adalah|to|jest|является)\b(?:\s(?:donc|pues|also|dunque|quindi|portanto)\b)?|[:：=—–])?[\s*_:]*"
    r"|(?:最终答案|最后答案|正确答案|答案|故答案)\s?(?:是|为|：|:)*\s*|(?:答え|正解|解答|정답|해답|답)\s?(?:は|은|는|이|:|：)\s*|答\s?[:：]\s*"
    r"|(?:选项|选择|选)\s?(?:是|为|：|:)*\s*(?=[(（]?[A-J](?![A-Za-z]))"
    r"|คำตอบ(?:ที่ถูกต้อง|สุดท้าย)?\s?(?:คือ|[:：])\s*|సమాధానం\s?[:：]?\s*|\bjibu\s(?:ni\b|:)\s*"
    r"|(?:الإجابة|الجواب|উত্তর|उत्तर)\s?(?:النهائية\s?|الصحيحة\s?)?(?:هي|هو|है|হল|হলো)?\s?[:：]?\s*"
)
"""What stands before an answer, for `marks`."""

OPTION = re.compile(
    r"\A(?:(?:la|el|le|il|die|das|de|a|o)\s+|l')?(?:(?:opci[oó]n|opção|option|alternativ[ae]|lettre|letra|lettera|buchstabe|antwort)\s+)?"
    r"(?=\(?[A-J]\)?\Z)",
    re.IGNORECASE,
)
"""What stands before the letter of a choice: "la opción B", "la B"."""
_IDEOGRAPHS = "\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af"
STARTS_WORDS = rf"(?<=[\dA-J)}}%$*])\s*(?=[{_IDEOGRAPHS}])"
"""Where words of a script without spaces begin behind an answer."""
DENIAL = r"不是|并非|并不是|不等于|nicht\b|kein|no\ses\b|n'est\spas\b|non\sè\b|não\sé\b|не\s"
INSTEAD = r"[,，;]\s*(?:而是|应该是|应为|sondern|sino|mais|ma|mas|а)\s*"
_IDEOGRAPHIC = re.compile(rf"[{_IDEOGRAPHS}]")
_CONCLUDES = re.compile(
    r"所以|因此|因而|故|于是|从而|答|一共|总共|共有|共计|合计|结果|得到|得出|等于|剩下|还剩|最终|最后|"
    r"したがって|よって|ゆえに|따라서|그러므로"
)
_SETS_OUT = re.compile(
    r"让我们|我们来|是否|假设|如果|若|检查|验证|需要|试|设|吗|可能|也许|不是|不等|不对|错|不正确|要求|计算一下|接下来|首先|"
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
    if _SETS_OUT.search(sentence):
        return True
    return bool(_IDEOGRAPHIC.search(sentence)) and not _CONCLUDES.search(sentence)


def without_foreign_unit(answer: str) -> str:
    """A number without the words of another script or with accents behind it: `18 долларов в день`, `18 dólares`."""
    found = _MEASURED.fullmatch(answer)
    if found is None or found[2].isascii() or _NO_UNIT.search(found[2]):
        return answer
    words = found[2].split()
    if _GREEK.search(found[2]) or not all(word.isalpha() for word in words):
        return answer
    if len(words[0]) < 2 and not _IDEOGRAPHIC.match(words[0]):
        return answer
    return found[1]


_MEASURED = re.compile(r"([-−]?[$€£]?\d[\d.,]*(?:/\d+)?)\s?([^\W\d_]+(?:\s[^\W\d_]+){0,3})[.।]?")
_GREEK = re.compile(r"[\u0370-\u03ffµ]")  # of a formula, or of µm
_NO_UNIT = re.compile(
    r"\b(?:не|нет|ни|или|и|невер\w*|ошиб\w*|лож\w*|тыс\w*|миллион\w*|миллиард\w*|процент\w*|градус\w*|больше|меньше|раз|и|y|o|ou|e|és|lub|oder|"
    r"nie|źle|tysi\w*|milion\w*|millón|millones|milhão|milhões|mil|más|moins|più|né|está|é|è|não|où)\b|错|對|不|万|億|亿|千|百|倍|分|か|と|或|和|%|ไม่|"
    r"หรือ|ล้าน|พัน|خطأ|أو|गलत|या|हज़ार|लाख|ভুল|বা",
    re.IGNORECASE,
)
