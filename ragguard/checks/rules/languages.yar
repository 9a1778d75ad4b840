// "Ignore all previous instructions" in languages other than English, and without spaces. Text is NFKC. Regular
// expressions work on UTF-8 bytes: a letter outside ASCII counts two or more, and is not matched without its case.

rule override_in_another_language {
  meta:
    weight = 5.0
  strings:
    $de = /\b(ignorier\w{0,3}|vergiss|vergessen sie|missachte\w{0,2}|verwirf|[uU]bergeh\w{0,3})\b[^.\n]{0,40}\b(vorherig|vorig|bisherig|obig|vorangegangen|vorhergehend|alle|fr..?her|s..?mtlich)[^.\n]{0,40}(anweisung|instruktion|vorgabe|regel|befehl|anordnung|richtlinie)/i
    $fr = /\b(ignore[rz]?|oublie[rz]?|tene?z? pas compte|tiens pas compte|abstraction)\b[^.\n]{0,40}\b(instructions?|consignes?|directives?|r..?gles|ordres)\b[^.\n]{0,30}(pr..?c..?dent|ant..?rieur|ci-dessus|avant|initial)/i
    $es = /\b(ignor[ae]n?|olvid[ae]n?|omit[ae]n?|desestim[ae]|caso omiso)\b[^.\n]{0,50}\b(instrucci|indicaci|reglas|..?rdenes|directrices|directivas)[^.\n]{0,40}(anterior|previa|arriba|hasta ahora)/i
    $pt = /\b(ignor[ae]m?|esque..?a|desconsider[ae]m?|despreze)\b[^.\n]{0,50}\b(instru..?.?|indica..?|regras|ordens|diretrizes|comandos)[^.\n]{0,40}(anterior|pr..?vi|acima|at. agora)/i
    $it = /\b(ignora(te|re)?|ignori|dimentica(te|re)?|trascura(te|re)?|disattendi)\b[^.\n]{0,50}\b(istruzioni|indicazioni|regole|ordini|comandi|direttive)\b[^.\n]{0,40}(precedent|sopra|anterior|finora)/i
    $nl = /\b(negeer|vergeet|sla)\b[^.\n]{0,40}\b(vorige|eerdere|bovenstaande|voorgaande|alle)\b[^.\n]{0,30}\b(instructies|aanwijzingen|opdrachten|regels|richtlijnen)/i
    $pl = /(ignoruj|zapomnij o|pomi.?.?)[^.\n]{0,50}(poprzedni|wcze..?niejsz|powy..?sz|wszystki)[^.\n]{0,40}(instrukcj|polece|wytyczn|zasad|rozkaz)/i
    $cs = /(ignoruj|zapome..?)[^.\n]{0,50}(p..?edchoz|p..?ede..?l|v..?echn|d..?..?v)[^.\n]{0,40}(instrukc|pokyn|p..?.?kaz|pravidl)/i
    $nordic = /\b(ignorera|ignorer|bortse fr..?n|gl..?m|glem|se bort fra|se bort fr..?)\b[^.\n]{0,40}\b(tidigare|f..?reg..?ende|tidligere|forrige|alla|alle|ovanst..?ende)\b[^.\n]{0,40}(instruktion|instruks|anvisning|regler|regel)/i
    $fi = /(l.. v.lit.|unohda|j..?t. huomiotta|ohita|sivuuta)[^.\n]{0,60}(aiemm|edelli|kaikki|kaikista)[^.\n]{0,40}(ohje|k..?sky|s..?..?nn)/i
    $hu = /(hagyd? figyelmen k..?v..?l|felejtsd? el|mell..?zd)[^.\n]{0,60}(utas..?t..?s|szab..?ly|parancs)/i
    $ro = /\b(ignor(a|.\x83|a..?i)|uit(a|.\x83|a..?i))[^.\n]{0,40}(instruc|indica|regul)[^.\n]{0,40}(anterioar|precedent|de mai sus)/i
    $tr = /(nceki|yukar..?daki|t..?m|b..?t..?n)[^.\n]{0,40}(talimat|y..?nerge|komut|kural)[^.\n]{0,40}(yok say|rmezden|unut|dikkate alma)/i
    $id = /\b(abaikan|lupakan|hiraukan)\b[^.\n]{0,40}\b(instruksi|perintah|arahan|petunjuk|aturan)\b/i
    $ru = /(гнорируй|абудь|бращай внимани|бращайте внимани|тбрось)[^.\n]{0,60}(предыдущ|прежн|прошл|все |всех |всю |выше)[^.\n]{0,60}(инструкци|указани|команд|правил|распоряжени)/
    $uk = /(гноруй|абудь|ехтуй)[^.\n]{0,60}(попередн|усі |всі |вище)[^.\n]{0,60}(інструкці|вказівк|команд|правил)/
    $el = /(γνόησε|γνοήστε|έχνα|εχάστε)[^.\n]{0,60}(προηγούμεν|όλες|όλους|παραπάνω)[^.\n]{0,60}(οδηγίες|εντολές|κανόνες)/
    $zh = /(忽略|无视|無視|忽視|忘记|忘記|不理会|抛弃).{0,24}(之前|以上|先前|上述|前面|所有|一切|此前).{0,24}(指令|指示|提示|说明|說明|规则|規則|命令)/
    $ja = /(これまで|以前|上記|すべて|全て|今まで|先ほど|前の).{0,45}(指示|命令|プロンプト|ルール|指令).{0,30}(無視|忘れ|従わな)/
    $ko = /(이전|위의|앞의|모든|기존|지금까지).{0,45}(지시|명령|지침|프롬프트|규칙).{0,30}(무시|잊)/
    $ar = /(تجاهل|انس|تغاضى).{0,60}(التعليمات|الأوامر|التوجيهات|القواعد|الارشادات|الإرشادات).{0,40}(السابق|أعلاه|المذكورة)/
    $he = /(התעלם|התעלמי|התעלמו|שכח|שכחו).{0,60}(הוראות|הנחיות|פקודות|כללים).{0,30}(קודמות|הקודמ|לעיל)/
    $fa = /(دستور|فرمان|راهنما|قوانین).{0,60}(قبلی|پیشین|بالا).{0,60}(نادیده|فراموش)/
    $hi = /(पिछले|सभी|ऊपर|पूर्व|पहले).{0,90}(निर्देश|आदेश|नियम).{0,90}(अनदेखा|अनदेखी|नजरअंदाज|भूल)/
    $vi = /(bỏ qua|phớt lờ|quên).{0,60}(hướng dẫn|chỉ thị|chỉ dẫn|lệnh|quy tắc).{0,40}(trước|trên)/i
    $th = /(เพิกเฉย|ละเว้น|ไม่ต้องสนใจ|ลืม).{0,90}(คําสั่ง|คําแนะนํา).{0,90}(ก่อนหน้า|ทั้งหมด|ข้างต้น)/
  condition:
    any of them
}

rule override_without_spaces {
  meta:
    weight = 5.0
  strings:
    $a = /(ignore|disregard|forget|override|bypass)(all|any|the|your|of|these|those|every){0,4}(previous|prior|above|earlier|preceding|other|existing)?(instructions?|prompts?|directions|directives|guidelines)/i
  condition:
    any of them
}
