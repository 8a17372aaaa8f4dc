-- Pages of the site on a narrow screen and for the keyboard: what is wider than the page scrolls in a frame that has
-- focus and a name, and long names of code break after a dot, an underscore or a slash.

local function scrolls(name)
  return { class = "scroll wide", role = "region", tabindex = "0", ["aria-label"] = name }
end

local tables = 0

local function broken(code)
  if #code.text < 16 or not FORMAT:match("html") then return nil end
  local text = code.text:gsub("&", "&amp;"):gsub("<", "&lt;"):gsub(">", "&gt;"):gsub("([._/,=])(%w)", "%1<wbr>%2")
  return pandoc.RawInline("html", "<code>" .. text .. "</code>")
end

local function code_block(block)
  block.attributes.tabindex, block.attributes.role = "0", "group"
  block.attributes["aria-label"] = block.classes:includes("cell-code") and "code" or "text of fixed width"
  return block
end

local visit = {
  traverse = "topdown",
  Div = function(div)
    if div.classes:includes("scroll") then return div:walk({ Code = broken }), false end
  end,
  Table = function(block)
    tables = tables + 1
    block.colspecs = block.colspecs:map(function(column) return { column[1], nil } end) -- as wide as what they hold
    return pandoc.Div({ block:walk({ Code = broken, Link = function(link)
      return link:walk({ Str = function(text)
        if #text.text >= 16 then return pandoc.RawInline("html", (text.text:gsub("([._])(%w)", "%1<wbr>%2"))) end
      end })
    end }) }, scrolls("table " .. tables)), false
  end,
  Code = broken,
  CodeBlock = code_block,
}

function Pandoc(document)
  return document:walk(visit)
end
